"""The changes of the database, numbered and append-only: a change that was released stays as it
is, and the next one is a new file in versions/. Alembic runs them (store/database.py)."""
