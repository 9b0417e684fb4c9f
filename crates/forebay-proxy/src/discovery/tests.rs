//! Names and files that change, against a real name server on loopback.
