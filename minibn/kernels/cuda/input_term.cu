// The batch norm of the input term, BN(W_x x_t; gamma_x, 0) of Eq. 6, and the gradient of looked-up rows of W_x.
//
// Rows are normalized one by one: N examples of one feature at one time step, or, with one set of statistics for the
// whole sequence, all T * N numbers of one feature. One block of threads takes one row. The product with gamma_x is
// left to the recurrence, so that x_hat, which the backward needs, is the only array of this size.

#include "common.cuh"

// The sum over all threads of a block, in a fixed order; `shared` has a place for each warp.
__device__ inline real block_sum(real value, real* shared) {
    value = warp_sum(value);
    __syncthreads();                // the sum before this one has been read
    if (lane() == 0) shared[warp()] = value;
    __syncthreads();
    real sum = 0;
    for (int w = 0; w < warps(); ++w) sum += shared[w];
    return sum;
}

// Is place n of step t live? Without a mask all are.
__device__ inline real live_at(const bool* mask, size_t t, int N, int n) {
    return mask == nullptr || mask[t * N + n] ? 1 : 0;
}

// a (G, T, N) becomes hat; mean and variance (T, G) are estimated, or given.
extern "C" __global__ void __launch_bounds__(MAX_THREADS) normalize_forward(
        int T, int N, int G, real* a, const bool* mask, real eps, int given, real* mean, real* variance) {
    const int g = blockIdx.x / T, t = blockIdx.x % T;
    real* row = a + size_t(blockIdx.x) * N;
    const size_t at = size_t(t) * G + g;
    real m, v;
    if (given) {
        m = mean[at];
        v = variance[at];
    } else {
        real count = 0, sum = 0, squares = 0;
        for (int n = threadIdx.x; n < N; n += blockDim.x) {
            count += live_at(mask, t, N, n);
            sum += live_at(mask, t, N, n) * row[n];
        }
        count = max(block_sum(count, shared_memory()), real(1));
        m = block_sum(sum, shared_memory()) / count;
        for (int n = threadIdx.x; n < N; n += blockDim.x)
            squares += live_at(mask, t, N, n) * (row[n] - m) * (row[n] - m);
        v = block_sum(squares, shared_memory()) / count;
        if (threadIdx.x == 0) {
            mean[at] = m;
            variance[at] = v;
        }
    }
    const real inv_std = 1 / sqrt(v + eps);
    for (int n = threadIdx.x; n < N; n += blockDim.x) row[n] = (row[n] - m) * inv_std;
}

// dy (G, T, N), the gradient of x_term, becomes that of x_linear; dgamma (T, G) is each row's share.
extern "C" __global__ void __launch_bounds__(MAX_THREADS) normalize_backward(
        int T, int N, int G, real* dy, const real* hat, const bool* mask, real eps, int given, const real* variance,
        const real* gamma, real* dgamma) {
    const int g = blockIdx.x / T, t = blockIdx.x % T;
    real* dy_row = dy + size_t(blockIdx.x) * N;
    const real* hat_row = hat + size_t(blockIdx.x) * N;
    const size_t at = size_t(t) * G + g;
    real count = 0, sum = 0, with_hat = 0;
    for (int n = threadIdx.x; n < N; n += blockDim.x) {
        count += live_at(mask, t, N, n);
        sum += dy_row[n];
        with_hat += dy_row[n] * hat_row[n];
    }
    count = max(block_sum(count, shared_memory()), real(1));
    sum = block_sum(sum, shared_memory());
    with_hat = block_sum(with_hat, shared_memory());
    if (threadIdx.x == 0) dgamma[at] = with_hat;
    const real weight = given ? 0 : 1 / count, inv_std = 1 / sqrt(variance[at] + eps);
    for (int n = threadIdx.x; n < N; n += blockDim.x)
        dy_row[n] = batch_norm_backward(dy_row[n], hat_row[n], live_at(mask, t, N, n), gamma[g], inv_std,
                                        weight * sum, weight * with_hat);
}

// dW_x[d, g] = sum of dx_linear[g, r] over the rows r with x[r] == d, for one g in each block: in the order of the
// rows, where atomic additions would come in any order.
extern "C" __global__ void __launch_bounds__(MAX_THREADS) look_up_backward(
        int rows, int D, int G, const real* dx_linear, const long long* x, real* dW_x) {
    const int g = blockIdx.x;
    real* gradient = shared_memory();
    real* label = gradient + blockDim.x;        // a label is below 2^24: exact as a float too
    for (int d0 = 0; d0 < D; d0 += blockDim.x) {
        const int d = d0 + threadIdx.x;
        real sum = 0;
        for (int r0 = 0; r0 < rows; r0 += blockDim.x) {
            const int r = r0 + threadIdx.x, count = min(int(blockDim.x), rows - r0);
            if (r < rows) {
                gradient[threadIdx.x] = dx_linear[size_t(g) * rows + r];
                label[threadIdx.x] = real(x[r]);
            }
            __syncthreads();
            for (int i = 0; i < count; ++i)
                if (label[i] == d) sum += gradient[i];
            __syncthreads();
        }
        if (d < D) dW_x[size_t(d) * G + g] = sum;
    }
}
