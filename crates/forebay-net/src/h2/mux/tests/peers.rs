//! Against another implementation of HTTP/2.
