//! Zone files and folders that change.
