"""The only readers of connections and variables: they hand out adapters, made from them."""
