"""The Hugging Face Hub: what of it lies in the user's cache, how it is asked, what it sends."""
