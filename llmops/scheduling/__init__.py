"""What runs by itself: triggers, jobs, the scheduler."""
