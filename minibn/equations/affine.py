r"""The affine output map:   y = W h + b."""


def affine_forward(h, W, b):
    """Rows h (..., H) times W (H, K), plus b (K,): (..., K)."""
    return h @ W + b


def affine_backward(dy, h, W):
    """Gradients with respect to h (..., H), W (H, K) and b (K,)."""
    H, K = W.shape
    rows = dy.reshape(-1, K)
    db = rows.sum(axis=0)                                             # (K,)
    dW = h.reshape(-1, H).T @ rows                                    # (H, K)
    dh = dy @ W.T                                                     # (..., H)
    return dh, dW, db
