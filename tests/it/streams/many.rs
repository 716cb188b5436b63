//! Ten thousand streams in one loop.
