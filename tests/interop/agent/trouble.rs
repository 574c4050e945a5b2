//! Servers that are down or lag, zones that are not signed, and ends without warning.
