// `import ByzTCP` is enough to name a `Token`.
@_exported public import ByzAuthentication
