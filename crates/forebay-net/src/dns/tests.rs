//! What is asked and what comes of it, against a real name server on loopback.
