// `import ByzUCX` is enough to name a `Token`.
@_exported public import ByzAuthentication
