//! Recorded bodies of many libraries, and what is read from them.
