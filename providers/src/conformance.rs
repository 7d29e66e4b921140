//! The behaviour suite that every provider passes against its real server.
