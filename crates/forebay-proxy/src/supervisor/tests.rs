//! News, and what becomes of endpoints.
