// The LSTM (Eqs. 2-4) and the batch-normalized LSTM (Eqs. 6-8), forward and backward, gate blocks f, i, o, g.
//
// A block of threads owns some hidden units, with all four gates of each: every statistic is the business of one
// block. Its columns are counted unit by unit, column = 4 * unit + gate. One step is the same code in both drivers:
//   *_sequence   one launch for all time steps; the blocks' slices of W_h stay in shared memory, and only h_t
//                (forward) or dh_linear_t (backward) cross blocks, with one barrier a step (two where plan.split > 1);
//   *_step       one launch per time step, after a library's product, for what does not fit.
// Names are those of minibn/equations/lstm.py and bn_lstm.py.

#include "common.cuh"
#include "lstm_forward.cuh"
#include "lstm_backward.cuh"

#define LSTM_ARGUMENTS                                                                                                 \
    int T, const real *x, const real *b, const real *gamma_x, const real *gamma_h, const real *gamma_c,                \
    const real *beta_c, const bool *mask, real eps, int given, real *h_mean, real *h_variance,                         \
    real *c_mean, real *c_variance, real *h, real *c, real *gates, real *h_hat
#define LSTM_ARRAYS                                                                                                    \
    const LSTMArrays arrays { T, x, b, gamma_x, gamma_h, gamma_c, beta_c, mask, eps, given != 0,                       \
                              h_mean, h_variance, c_mean, c_variance, h, c, gates, h_hat }
#define LSTM_GRADIENT_ARGUMENTS                                                                                        \
    const real *dh_loss, real *dh_linear, real *dx_term, real *dh_kept, real *dc,                                      \
    real *db, real *dgamma_h, real *dgamma_c, real *dbeta_c
#define LSTM_GRADIENTS                                                                                                 \
    const LSTMGradientArrays gradients { dh_loss, dh_linear, dx_term, dh_kept, dc, db, dgamma_h, dgamma_c, dbeta_c }

#define LSTM_KERNELS(name, BN)                                                                                         \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_forward_sequence(                              \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, const real* W_h, real* split_sums, unsigned* arrived) {                    \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        forward_over_time<BN>(plan, arrays, W_h, split_sums, arrived);                                             \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_forward_step(                                     \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, int t, const real* h_linear, real* h_now, real* global_workspace) {        \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        forward_once<BN>(plan, arrays, t, h_linear, h_now, global_workspace);                                     \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_backward_sequence(                             \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, LSTM_GRADIENT_ARGUMENTS,                                                   \
            const real* W_h, real* dh_0, real* split_sums, unsigned* arrived) {                                        \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        LSTM_GRADIENTS;                                                                                                \
        backward_over_time<BN>(plan, arrays, gradients, W_h, dh_0, split_sums, arrived);                           \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_backward_step(                                    \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, LSTM_GRADIENT_ARGUMENTS,                                                   \
            int t, const real* dh_later, real* dh_linear_now, real* global_workspace) {                                \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        LSTM_GRADIENTS;                                                                                                \
        backward_once<BN>(plan, arrays, gradients, t, dh_later, dh_linear_now, global_workspace);                 \
    }

LSTM_KERNELS(lstm, false)
LSTM_KERNELS(bn_lstm, true)
