// What the recurrences share: the walk over time of many blocks together, products that keep their weights in shared
// memory, and sums over the examples of a batch.
//
// Arrays are unit-major: (rows, T, N), an example's neighbour is the next example. A row of N numbers is one feature at
// one time step, which is what a batch norm sums over, and what neighbouring threads read and write together.

#include "machine.cuh"

const int WARP = 32;
const int MAX_THREADS = 256;
const int QUAD = 4;      // neighbours that are read together

struct alignas(QUAD * sizeof(real)) Quad { real at[QUAD]; };

// How the work is cut: see `plan` in launch.py, which chooses the numbers.
struct Plan {
    int N, H;           // examples, hidden units
    int units;          // hidden units of each block: their statistics are nobody else's business
    int split;          // blocks that share one product: each multiplies its part of the rows, for the units of all
    int rows;           // rows of the product in each part
    int chunk;          // rows in shared memory at a time
    int examples;       // examples in shared memory at a time, a multiple of QUAD (of 2 QUAD where tile is 8)
    int tile;           // columns that one thread multiplies: 1, 4 or 8; with 4 examples, or 8 where tile is 8
    int parts;          // threads that share one sum within a block
    int workspace;      // without shared memory for it: numbers of global memory for each block

    __device__ int first_unit() const { return blockIdx.x * units; }
    __device__ int own_units() const { return max(0, min(units, H - first_unit())); }     // 0: fills up a group
    __device__ int group_first_unit() const { return blockIdx.x / split * split * units; }
    __device__ int first_row() const { return blockIdx.x % split * rows; }
};

#define PLAN_ARGUMENTS                                                                                                 \
    int N, int H, int units, int split, int rows, int chunk, int examples, int tile, int parts, int workspace
#define PLAN                                                                                                           \
    const Plan plan { N, H, units, split, rows, chunk, examples, tile, parts, workspace }

// Shared memory, handed out piece by piece; each piece starts where a Quad may start.
struct Pieces {
    real* next;

    __device__ real* take(int numbers) {
        real* piece = next;
        next += (numbers + QUAD - 1) / QUAD * QUAD;
        return piece;
    }
};

// Where a block of a *_step kernel keeps its numbers: in shared memory, or where that is too small, in global memory.
__device__ inline Pieces step_memory(const Plan& plan, real* global) {
    return {global == nullptr ? shared_memory() : global + size_t(blockIdx.x) * plan.workspace};
}

// A barrier for all blocks, in two halves, so that a block can do its own work between them. All blocks are resident
// (the launch is cooperative), so that nobody waits for a block that cannot start.
struct GridBarrier {
    unsigned* arrived;      // zero at launch
    unsigned goal;

    __device__ void arrive() {
        goal += gridDim.x;
        __syncthreads();            // every thread of the block has written what others wait for
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd(arrived, 1u);
        }
    }

    __device__ void wait() const {
        if (threadIdx.x == 0) {
            while (*static_cast<volatile unsigned*>(arrived) < goal) pause();
            __threadfence();
        }
        __syncthreads();
    }
};

// Copy one number: `IN_FLIGHT`, into shared memory, on its way until `copies_arrived`; or at once, to anywhere.
template <bool IN_FLIGHT>
__device__ inline void fetch(real* to, const real* from) {
    if (IN_FLIGHT)
        start_copy(to, from);
    else
        *to = *from;
}

// The same order of additions in every run.
__device__ inline real warp_sum(real value) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

__device__ inline int lane() { return threadIdx.x % WARP; }
__device__ inline int warp() { return threadIdx.x / WARP; }
__device__ inline int warps() { return blockDim.x / WARP; }

__device__ inline real sigmoid(real z) { return real(0.5) * tanh(real(0.5) * z) + real(0.5); }
__device__ inline real dsigmoid(real s) { return s * (1 - s); }      // by the value, as in minibn.equations.activations
__device__ inline real dtanh(real y) { return 1 - y * y; }

// ---- The recurrent product ----

// NUMBERS neighbours from shared memory, four by four where there are as many.
template <int NUMBERS>
__device__ inline void read(real* to, const real* from) {
    if (NUMBERS % QUAD == 0) {
        #pragma unroll
        for (int i = 0; i < NUMBERS; i += QUAD) {
            const Quad quad = *reinterpret_cast<const Quad*>(&from[i]);
            #pragma unroll
            for (int j = 0; j < QUAD; ++j) to[i + j] = quad.at[j];
        }
    } else {
        for (int i = 0; i < NUMBERS; ++i) to[i] = from[i];
    }
}

// Copy `count` examples of `rows` rows to shared memory; the places of examples beyond the last are zero.
template <int WIDTH>
__device__ void stage_by(real* to, int examples, const real* from, size_t row_stride, int rows, int count) {
    const int pieces = examples / WIDTH;            // of a row; then the place of a thread's next piece, without dividing
    const int row_step = blockDim.x / pieces, piece_step = blockDim.x % pieces;
    int row = threadIdx.x / pieces, piece = threadIdx.x % pieces;
    while (row < rows) {
        const int n = piece * WIDTH;
        real* place = &to[row * examples + n];
        if (n >= count) {
            for (int i = 0; i < WIDTH; ++i) place[i] = 0;
        } else if (WIDTH == 1) {
            start_copy(place, &from[row * row_stride + n]);
        } else {
            start_wide_copy(place, &from[row * row_stride + n]);
        }
        row += row_step;
        piece += piece_step;
        if (piece >= pieces) {
            piece -= pieces;
            ++row;
        }
    }
}

__device__ inline void stage(real* to, const Plan& plan, const real* from, size_t row_stride, int rows, int count) {
    const int wide = 16 / sizeof(real);
    if (plan.N % wide == 0)                         // then all rows are aligned, and no piece ends beyond the last example
        stage_by<wide>(to, plan.examples, from, row_stride, rows, count);
    else
        stage_by<1>(to, plan.examples, from, row_stride, rows, count);
    end_of_copies();
}

// out[column, n] = sum over this block's rows k of weights[k, column] * a[k, n], for all N examples and all `columns`.
//
// weights (rows, columns) lie in shared memory; a is in global memory, read in chunks of rows, the next chunk on its
// way while this one is multiplied. A thread holds COLUMNS x QUADS x QUAD sums, its quads of examples as far apart as
// the neighbours' quads need to lie side by side. `parts` threads share the rows of one such tile, and their sums are
// added in a fixed order, in the memory of the chunks.
template <int COLUMNS, int QUADS>
__device__ void multiply_tiles(const Plan& plan, const real* weights, int columns, const real* a, size_t row_stride,
                               int rows, real* staged, real* out) {
    const int example_tiles = plan.examples / (QUADS * QUAD), apart = plan.examples / QUADS;
    const int tiles = columns / COLUMNS * example_tiles;
    const int part = threadIdx.x / tiles;
    const int column = threadIdx.x % tiles / example_tiles * COLUMNS;
    const int example = threadIdx.x % example_tiles * QUAD;
    const int buffer = plan.chunk * plan.examples;

    for (int n0 = 0; n0 < plan.N; n0 += plan.examples) {
        const int count = min(plan.examples, plan.N - n0);
        real sum[COLUMNS][QUADS][QUAD] = {};
        stage(staged, plan, a + n0, row_stride, min(plan.chunk, rows), count);
        for (int k0 = 0, turn = 0; k0 < rows; k0 += plan.chunk, turn = 1 - turn) {
            const int here = min(plan.chunk, rows - k0), next = k0 + plan.chunk;
            if (next < rows)
                stage(staged + (1 - turn) * buffer, plan, a + next * row_stride + n0, row_stride,
                      min(plan.chunk, rows - next), count);
            else
                end_of_copies();                // an empty group, so that the last but one is this chunk
            copies_arrived<1>();
            __syncthreads();
            if (part < plan.parts) {
                #pragma unroll (COLUMNS == 8 ? 2 : 4)
                for (int k = part; k < here; k += plan.parts) {
                    real w[COLUMNS];
                    read<COLUMNS>(w, &weights[(k0 + k) * columns + column]);
                    #pragma unroll
                    for (int q = 0; q < QUADS; ++q) {
                        real an[QUAD];
                        read<QUAD>(an, &staged[turn * buffer + k * plan.examples + example + q * apart]);
                        #pragma unroll
                        for (int c = 0; c < COLUMNS; ++c)
                            #pragma unroll
                            for (int n = 0; n < QUAD; ++n)
                                sum[c][q][n] += w[c] * an[n];
                    }
                }
            }
            __syncthreads();                    // the next chunk but one is copied to where this one was
        }
        if (part < plan.parts) {
            #pragma unroll
            for (int c = 0; c < COLUMNS; ++c)
                #pragma unroll
                for (int q = 0; q < QUADS; ++q)
                    #pragma unroll
                    for (int n = 0; n < QUAD; ++n)
                        staged[(part * columns + column + c) * plan.examples + example + q * apart + n] = sum[c][q][n];
        }
        copies_arrived<0>();                    // what a caller started before this product too
        __syncthreads();
        for (int i = threadIdx.x; i < columns * count; i += blockDim.x) {
            const int c = i / count, n = i % count;
            real total = 0;
            for (int p = 0; p < plan.parts; ++p)
                total += staged[(p * columns + c) * plan.examples + n];
            out[size_t(c) * plan.N + n0 + n] = total;
        }
        __syncthreads();                        // `staged` is free again, and `out` is there for all threads
    }
}

// One product of the recurrence by all blocks: out[column, n] for the block's own columns (`per_unit` for each unit).
//
// With split > 1 a block multiplies its part of the rows for the columns of its whole group, and a second barrier
// stands between that and the sum over the parts: each block then reads 1/split of `a` from global memory.
__device__ inline void multiply(const Plan& plan, GridBarrier& barrier, const real* weights, int per_unit,
                                const real* a, size_t row_stride, int all_rows, real* staged, real* split_sums,
                                real* out) {
    const int own_columns = plan.units * per_unit, columns = plan.split * own_columns;
    const int rows = max(0, min(plan.rows, all_rows - plan.first_row()));
    const size_t N = plan.N, all_columns = size_t(gridDim.x) * own_columns;
    real* sums = out;
    if (plan.split > 1)
        sums = split_sums + (blockIdx.x % plan.split * all_columns + plan.group_first_unit() * per_unit) * N;
    a += plan.first_row() * row_stride;
    if (plan.tile == 8)
        multiply_tiles<8, 2>(plan, weights, columns, a, row_stride, rows, staged, sums);
    else if (plan.tile == 4)
        multiply_tiles<4, 1>(plan, weights, columns, a, row_stride, rows, staged, sums);
    else
        multiply_tiles<1, 1>(plan, weights, columns, a, row_stride, rows, staged, sums);
    if (plan.split == 1) return;
    barrier.arrive();
    barrier.wait();
    for (size_t i = threadIdx.x; i < own_columns * N; i += blockDim.x) {
        real total = 0;
        for (int part = 0; part < plan.split; ++part)
            total += split_sums[(part * all_columns + size_t(plan.first_unit()) * per_unit) * N + i];
        out[i] = total;
    }
    __syncthreads();
}

// ---- Batch statistics (Eq. 5), each by one warp ----

// Which examples are live at a step, 1 or 0, and how many; without a mask all are. A step without a live example has
// no statistics; nobody reads what is computed in their place, but it must be a number.
__device__ inline void load_live(real* live, real* count, const bool* mask, size_t t, int N) {
    for (int n = threadIdx.x; n < N; n += blockDim.x)
        live[n] = mask == nullptr || mask[t * N + n] ? 1 : 0;
    if (warp() != 0) return;
    real sum = 0;
    for (int n = lane(); n < N; n += WARP)
        sum += mask == nullptr || mask[t * N + n] ? 1 : 0;
    sum = warp_sum(sum);
    if (lane() == 0) *count = max(sum, real(1));
}

// The mean and (variance + eps)^(-1/2) to normalize a (N,) with: of the live examples (two passes, as in
// minibn.statistics), stored for whoever asks later; or those given in that very place.
__device__ inline void statistics_of(const real* a, const real* live, real count, int N, real eps, bool given,
                                     real* stored_mean, real* stored_variance, real* mean, real* inv_std) {
    real m, v;
    if (given) {
        m = *stored_mean;
        v = *stored_variance;
    } else {
        real sum = 0;
        for (int n = lane(); n < N; n += WARP) sum += live[n] * a[n];
        m = warp_sum(sum) / count;
        real squares = 0;
        for (int n = lane(); n < N; n += WARP) squares += live[n] * (a[n] - m) * (a[n] - m);
        v = warp_sum(squares) / count;
    }
    if (lane() != 0) return;
    *mean = m;
    *inv_std = 1 / sqrt(v + eps);
    if (given) return;
    *stored_mean = m;
    *stored_variance = v;
}

// The sum over the examples of one row.
__device__ inline real row_sum(const real* a, int N) {
    real sum = 0;
    for (int n = lane(); n < N; n += WARP) sum += a[n];
    return warp_sum(sum);
}

// What the backward of Eq. 5 needs of one column of N examples.
struct GradientSums {
    real dy, dy_hat;                    // sum of dy and of dy * hat: this step's dbeta and dgamma
    real mean_dy, mean_dy_hat;          // weight times these; 0 with given statistics, through which nothing flows
};

__device__ inline GradientSums gradient_sums(const real* dy, const real* hat, real count, int N, bool given) {
    real sum = 0, with_hat = 0;
    for (int n = lane(); n < N; n += WARP) {
        sum += dy[n];
        with_hat += dy[n] * hat[n];
    }
    sum = warp_sum(sum);
    with_hat = warp_sum(with_hat);
    const real weight = given ? 0 : 1 / count;
    return {sum, with_hat, weight * sum, weight * with_hat};
}

// The backward of Eq. 5 for one example. With dhat = gamma dy the terms of minibn.equations.batch_norm,
//     dhat inv_std + weight (dmean + 2 (a - mean) dvariance),
// become this, for dmean = -gamma inv_std sum(dy) and 2 (a - mean) dvariance = -gamma inv_std hat sum(dy hat).
__device__ inline real batch_norm_backward(real dy, real hat, real live, real gamma, real inv_std,
                                           real mean_dy, real mean_dy_hat) {
    return gamma * inv_std * (dy - live * (mean_dy + hat * mean_dy_hat));
}
