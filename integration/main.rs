//! Tests against real servers and real processes; the module list and nothing else.
