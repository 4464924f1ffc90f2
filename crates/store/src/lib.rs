//! What is kept: one trait of domain calls, SQLite behind it.
