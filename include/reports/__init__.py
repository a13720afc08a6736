"""Results as self-contained HTML files and versioned JSON. Import what you need from the modules; they load numpy."""
