//! `doctor` tells what does not hold.
