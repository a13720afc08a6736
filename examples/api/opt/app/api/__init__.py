"""The edge service of the streaming site: one page per request, put together from what backing services answer."""
