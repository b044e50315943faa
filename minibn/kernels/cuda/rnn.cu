// The tanh RNN (Eq. 1) and its batch-normalized forms, forward and backward; the way of working is that of lstm.cu.
//
//   PLAIN       h_t = tanh(W_h h_{t-1} + x_t + b)
//   SUM         h_t = tanh(BN(W_h h_{t-1} + x_t; gamma, b))              one batch norm on the sum: Figure 1(a)
//   TWO_TERM    h_t = tanh(BN(W_h h_{t-1}; gamma) + gamma_x x_t + b)     x_t is x_hat: Eq. 6 for a plain RNN
//
// Names are those of minibn/equations/rnn.py and bn_rnn.py.

#include "common.cuh"

enum Form { PLAIN, SUM, TWO_TERM };

// In global memory; T + 1 places in time hold the states before steps 0 .. T - 1 and after the last.
struct RNNArrays {
    int T;
    const real *x;                      // (H, T, N): W_x x_t, or x_hat
    const real *b, *gamma_x, *gamma;    // (H,)
    const bool *mask;                   // (T, N), or null
    real eps;
    bool given;                         // statistics are given, not estimated
    real *mean, *variance;              // (T, H)
    real *h;                            // (H, T + 1, N), carried
    real *hat;                          // (H, T, N): of the sum, or of W_h h_{t-1}
};

struct RNNGradientArrays {
    const real *dh_loss;                // (H, T, N): only the loss terms of each step itself
    real *dh_linear, *dx_term;          // (H, T, N); the same array but for TWO_TERM
    real *dh_kept;                      // (H, N): of h_t past a padded step
    real *db, *dgamma;                  // (H,), sums over time: zero at first
};

// ---- Forward ----

template <Form FORM, bool IN_FLIGHT>
struct RNNForward {
    const Plan& plan;
    const RNNArrays& arrays;
    // In shared memory; rows of N examples.
    real *tilde;                        // (units, N): W_h h_{t-1}, then hat
    real *x, *h;                        // (units, N)
    real *live;                         // (N,)
    real *count;                        // of the live ones
    real *mean, *inv_std;               // (units,)
    real *b, *gamma_x, *gamma;          // (units,)

    __device__ RNNForward(const Plan& plan, const RNNArrays& arrays, Pieces& shared) : plan(plan), arrays(arrays) {
        const int U = plan.units, N = plan.N;
        tilde = shared.take(U * N);
        x = shared.take(U * N);
        h = shared.take(U * N);
        live = shared.take(N);
        count = shared.take(1);
        mean = shared.take(U);
        inv_std = shared.take(U);
        b = shared.take(U);
        gamma_x = shared.take(U);
        gamma = shared.take(U);
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            b[u] = arrays.b[plan.first_unit() + u];
            if (FORM == TWO_TERM) gamma_x[u] = arrays.gamma_x[plan.first_unit() + u];
            if (FORM != PLAIN) gamma[u] = arrays.gamma[plan.first_unit() + u];
        }
    }

    __device__ size_t state_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * (arrays.T + 1) + t) * plan.N + i % plan.N;
    }

    __device__ size_t step_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * arrays.T + t) * plan.N + i % plan.N;
    }

    __device__ void load_state(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) h[i] = arrays.h[state_at(i, t)];
    }

    // What step t reads and no block writes: it can travel while the others are waited for.
    __device__ void load(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            fetch<IN_FLIGHT>(&x[i], &arrays.x[step_at(i, t)]);
        end_of_copies();
        load_live(live, count, arrays.mask, t, plan.N);
    }

    // From W_h h_{t-1} in `tilde` to h_t.
    __device__ void step(int t) {
        const int N = plan.N, own = plan.own_units();
        if (FORM == SUM) {
            for (int i = threadIdx.x; i < own * N; i += blockDim.x) tilde[i] += x[i];
            __syncthreads();
        }
        if (FORM != PLAIN) {
            for (int u = warp(); u < own; u += warps()) {
                const size_t at = size_t(t) * plan.H + plan.first_unit() + u;
                statistics_of(&tilde[u * N], live, *count, N, arrays.eps, arrays.given,
                              &arrays.mean[at], &arrays.variance[at], &mean[u], &inv_std[u]);
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N;
            if (FORM != PLAIN) tilde[i] = (tilde[i] - mean[u]) * inv_std[u];        // hat
            real h_tilde = (FORM == PLAIN ? tilde[i] : gamma[u] * tilde[i]) + b[u];
            if (FORM == PLAIN) h_tilde += x[i];                                     // Eq. 1
            if (FORM == TWO_TERM) h_tilde += gamma_x[u] * x[i];                     // Eq. 6
            if (live[i % N] != 0) h[i] = tanh(h_tilde);                             // padded examples keep h
            arrays.h[state_at(i, t + 1)] = h[i];
        }
    }

    // What only the backward pass reads.
    __device__ void store(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            arrays.hat[step_at(i, t)] = tilde[i];
    }
};

template <Form FORM>
__device__ void forward_over_time(const Plan& plan, const RNNArrays& arrays, const real* W_h, real* split_sums,
                                  unsigned* arrived) {
    Pieces shared{shared_memory()};
    const int columns = plan.split * plan.units;
    real* weights = shared.take(plan.rows * columns);
    real* staged = shared.take(max(2 * plan.chunk, plan.parts * columns) * plan.examples);
    RNNForward<FORM, true> block(plan, arrays, shared);
    check_shared_memory(shared.next);
    GridBarrier barrier{arrived, 0};

    for (int i = threadIdx.x; i < plan.rows * columns; i += blockDim.x) {
        const int k = plan.first_row() + i / columns, unit = plan.group_first_unit() + i % columns;
        weights[i] = k < plan.H && unit < plan.H ? W_h[size_t(k) * plan.H + unit] : 0;
    }
    block.load_state(0);
    block.load(0);
    __syncthreads();
    for (int t = 0; t < arrays.T; ++t) {
        multiply(plan, barrier, weights, 1, arrays.h + size_t(t) * plan.N, size_t(arrays.T + 1) * plan.N, plan.H,
                 staged, split_sums, block.tilde);
        block.step(t);
        barrier.arrive();
        if (FORM != PLAIN) block.store(t);
        if (t + 1 < arrays.T) block.load(t + 1);
        barrier.wait();
    }
}

template <Form FORM>
__device__ void forward_once(const Plan& plan, const RNNArrays& arrays, int t, const real* h_linear, real* h_now,
                             real* workspace) {
    Pieces memory = step_memory(plan, workspace);
    RNNForward<FORM, false> block(plan, arrays, memory);
    if (workspace == nullptr) check_shared_memory(memory.next);
    block.load_state(t);
    block.load(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        block.tilde[i] = h_linear[size_t(plan.first_unit()) * plan.N + i];
    __syncthreads();
    block.step(t);
    if (FORM != PLAIN) block.store(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        h_now[size_t(plan.first_unit()) * plan.N + i] = block.h[i];
}

// ---- Backward ----

template <Form FORM, bool IN_FLIGHT>
struct RNNBackward {
    const Plan& plan;
    const RNNArrays& arrays;
    const RNNGradientArrays& gradients;
    // In shared memory; rows of N examples.
    real *h, *hat, *dh_loss;            // (units, N)
    real *dh_later, *dh_kept;           // (units, N): from step t + 1
    real *dh_tilde;                     // (units, N)
    real *live;                         // (N,)
    real *count;                        // of the live ones
    real *inv_std, *gamma;              // (units,)
    real *mean_dy, *mean_dy_hat;        // (units,): see GradientSums
    real *db, *dgamma;                  // (units,), sums over time

    __device__ RNNBackward(const Plan& plan, const RNNArrays& arrays, const RNNGradientArrays& gradients,
                           Pieces& shared)
        : plan(plan), arrays(arrays), gradients(gradients) {
        const int U = plan.units, N = plan.N;
        h = shared.take(U * N);
        hat = shared.take(U * N);
        dh_loss = shared.take(U * N);
        dh_later = shared.take(U * N);
        dh_kept = shared.take(U * N);
        dh_tilde = shared.take(U * N);
        live = shared.take(N);
        count = shared.take(1);
        inv_std = shared.take(U);
        gamma = shared.take(U);
        mean_dy = shared.take(U);
        mean_dy_hat = shared.take(U);
        db = shared.take(U);
        dgamma = shared.take(U);
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            if (FORM != PLAIN) gamma[u] = arrays.gamma[plan.first_unit() + u];
            db[u] = dgamma[u] = 0;
        }
    }

    __device__ size_t state_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * (arrays.T + 1) + t) * plan.N + i % plan.N;
    }

    __device__ size_t step_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * arrays.T + t) * plan.N + i % plan.N;
    }

    __device__ size_t end_at(int i) const { return size_t(plan.first_unit()) * plan.N + i; }

    __device__ void load_state() {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            dh_kept[i] = gradients.dh_kept[end_at(i)];
    }

    __device__ void store_state() {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            gradients.dh_kept[end_at(i)] = dh_kept[i];
    }

    // What step t reads and no block writes: it can travel while the others are waited for.
    __device__ void load(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) {
            fetch<IN_FLIGHT>(&h[i], &arrays.h[state_at(i, t + 1)]);
            if (FORM != PLAIN) fetch<IN_FLIGHT>(&hat[i], &arrays.hat[step_at(i, t)]);
            fetch<IN_FLIGHT>(&dh_loss[i], &gradients.dh_loss[step_at(i, t)]);
        }
        end_of_copies();
        load_live(live, count, arrays.mask, t, plan.N);
        for (int u = threadIdx.x; FORM != PLAIN && u < plan.own_units(); u += blockDim.x)
            inv_std[u] = 1 / sqrt(arrays.variance[size_t(t) * plan.H + plan.first_unit() + u] + arrays.eps);
    }

    // From dh_later = W_h dh_linear_{t+1} to dh_linear_t.
    __device__ void step(int t) {
        const int N = plan.N, own = plan.own_units();
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const real dh_carried = dh_later[i] + dh_kept[i] + dh_loss[i];
            dh_tilde[i] = live[i % N] != 0 ? dh_carried * dtanh(h[i]) : 0;          // padded examples keep h:
            dh_kept[i] = live[i % N] != 0 ? 0 : dh_carried;                         // it all goes to the step before
        }
        __syncthreads();
        for (int u = warp(); u < own; u += warps()) {
            if (FORM != PLAIN) {
                const GradientSums sums = gradient_sums(&dh_tilde[u * N], &hat[u * N], *count, N, arrays.given);
                if (lane() == 0) {
                    mean_dy[u] = sums.mean_dy;
                    mean_dy_hat[u] = sums.mean_dy_hat;
                    db[u] += sums.dy;
                    dgamma[u] += sums.dy_hat;
                }
            } else {
                const real sum = row_sum(&dh_tilde[u * N], N);
                if (lane() == 0) db[u] += sum;
            }
        }
        if (FORM != PLAIN) __syncthreads();
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N;
            gradients.dh_linear[step_at(i, t)] =
                FORM != PLAIN ? batch_norm_backward(dh_tilde[i], hat[i], live[i % N], gamma[u], inv_std[u],
                                                    mean_dy[u], mean_dy_hat[u])
                              : dh_tilde[i];
        }
    }

    // What no other block waits for; but for TWO_TERM dx_term is dh_linear.
    __device__ void store(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            gradients.dx_term[step_at(i, t)] = dh_tilde[i];
    }

    // The parameters' gradients, after the last step of this launch.
    __device__ void store_totals() {
        __syncthreads();
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            gradients.db[plan.first_unit() + u] += db[u];
            if (FORM != PLAIN) gradients.dgamma[plan.first_unit() + u] += dgamma[u];
        }
    }
};

// `dh_0` (H, N) takes W_h dh_linear_1 + dh_kept at the end.
template <Form FORM>
__device__ void backward_over_time(const Plan& plan, const RNNArrays& arrays, const RNNGradientArrays& gradients,
                                   const real* W_h, real* dh_0, real* split_sums, unsigned* arrived) {
    Pieces shared{shared_memory()};
    const int columns = plan.split * plan.units;
    real* weights = shared.take(plan.rows * columns);
    real* staged = shared.take(max(2 * plan.chunk, plan.parts * columns) * plan.examples);
    RNNBackward<FORM, true> block(plan, arrays, gradients, shared);
    check_shared_memory(shared.next);
    GridBarrier barrier{arrived, 0};

    for (int i = threadIdx.x; i < plan.rows * columns; i += blockDim.x) {
        const int k = plan.first_row() + i / columns, unit = plan.group_first_unit() + i % columns;
        weights[i] = k < plan.H && unit < plan.H ? W_h[size_t(unit) * plan.H + k] : 0;
    }
    block.load_state();
    for (int i = threadIdx.x; i < plan.units * plan.N; i += blockDim.x) block.dh_later[i] = 0;
    block.load(arrays.T - 1);
    copies_arrived<0>();
    __syncthreads();
    for (int t = arrays.T - 1; t >= 0; --t) {
        block.step(t);
        barrier.arrive();
        if (FORM == TWO_TERM) block.store(t);
        if (t > 0) block.load(t - 1);
        barrier.wait();
        multiply(plan, barrier, weights, 1, gradients.dh_linear + size_t(t) * plan.N, size_t(arrays.T) * plan.N,
                 plan.H, staged, split_sums, block.dh_later);
    }
    block.store_state();
    block.store_totals();
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        dh_0[block.end_at(i)] = block.dh_later[i] + block.dh_kept[i];
}

template <Form FORM>
__device__ void backward_once(const Plan& plan, const RNNArrays& arrays, const RNNGradientArrays& gradients, int t,
                              const real* dh_later, real* dh_linear_now, real* workspace) {
    Pieces memory = step_memory(plan, workspace);
    RNNBackward<FORM, false> block(plan, arrays, gradients, memory);
    if (workspace == nullptr) check_shared_memory(memory.next);
    block.load_state();
    block.load(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        block.dh_later[i] = dh_later[block.end_at(i)];
    __syncthreads();
    block.step(t);
    if (FORM == TWO_TERM) block.store(t);
    block.store_state();
    block.store_totals();
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        dh_linear_now[block.end_at(i)] = gradients.dh_linear[block.step_at(i, t)];
}

// ---- The kernels ----

#define RNN_ARGUMENTS                                                                                                  \
    int T, const real *x, const real *b, const real *gamma_x, const real *gamma, const bool *mask, real eps,           \
    int given, real *mean, real *variance, real *h, real *hat
#define RNN_ARRAYS const RNNArrays arrays { T, x, b, gamma_x, gamma, mask, eps, given != 0, mean, variance, h, hat }
#define RNN_GRADIENT_ARGUMENTS                                                                                         \
    const real *dh_loss, real *dh_linear, real *dx_term, real *dh_kept, real *db, real *dgamma
#define RNN_GRADIENTS const RNNGradientArrays gradients { dh_loss, dh_linear, dx_term, dh_kept, db, dgamma }

#define RNN_KERNELS(name, FORM)                                                                                        \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_forward_sequence(                              \
            PLAN_ARGUMENTS, RNN_ARGUMENTS, const real* W_h, real* split_sums, unsigned* arrived) {                     \
        PLAN;                                                                                                          \
        RNN_ARRAYS;                                                                                                    \
        forward_over_time<FORM>(plan, arrays, W_h, split_sums, arrived);                                               \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_forward_step(                                     \
            PLAN_ARGUMENTS, RNN_ARGUMENTS, int t, const real* h_linear, real* h_now, real* global_workspace) {         \
        PLAN;                                                                                                          \
        RNN_ARRAYS;                                                                                                    \
        forward_once<FORM>(plan, arrays, t, h_linear, h_now, global_workspace);                                        \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_backward_sequence(                             \
            PLAN_ARGUMENTS, RNN_ARGUMENTS, RNN_GRADIENT_ARGUMENTS,                                                     \
            const real* W_h, real* dh_0, real* split_sums, unsigned* arrived) {                                        \
        PLAN;                                                                                                          \
        RNN_ARRAYS;                                                                                                    \
        RNN_GRADIENTS;                                                                                                 \
        backward_over_time<FORM>(plan, arrays, gradients, W_h, dh_0, split_sums, arrived);                             \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_backward_step(                                    \
            PLAN_ARGUMENTS, RNN_ARGUMENTS, RNN_GRADIENT_ARGUMENTS,                                                     \
            int t, const real* dh_later, real* dh_linear_now, real* global_workspace) {                                \
        PLAN;                                                                                                          \
        RNN_ARRAYS;                                                                                                    \
        RNN_GRADIENTS;                                                                                                 \
        backward_once<FORM>(plan, arrays, gradients, t, dh_later, dh_linear_now, global_workspace);                    \
    }

RNN_KERNELS(rnn, PLAIN)
RNN_KERNELS(bn_rnn, SUM)
RNN_KERNELS(bn_rnn_two_term, TWO_TERM)
