// The backward pass of rnn.cu: its arrays, one step, and both ways through time.

struct RNNGradientArrays {
    const real *dh_loss;                // (H, T, N): only the loss terms of each step itself
    real *dh_linear, *dx_term;          // (H, T, N); the same array but for TWO_TERM
    real *dh_kept;                      // (H, N): of h_t past a padded step
    real *db, *dgamma;                  // (H,), sums over time: zero at first
};

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
