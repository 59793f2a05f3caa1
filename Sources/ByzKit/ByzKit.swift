// `import ByzKit` is all that most programs need.
@_exported public import ByzRuntime
@_exported public import ByzTensor
