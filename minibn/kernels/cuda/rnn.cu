// The tanh RNN (Eq. 1) and its batch-normalized forms, forward and backward; the way of working is that of lstm.cu.
//
//   PLAIN       h_t = tanh(W_h h_{t-1} + x_t + b)
//   SUM         h_t = tanh(BN(W_h h_{t-1} + x_t; gamma, b))              one batch norm on the sum: Figure 1(a)
//   TWO_TERM    h_t = tanh(BN(W_h h_{t-1}; gamma) + gamma_x x_t + b)     x_t is x_hat: Eq. 6 for a plain RNN
//
// Names are those of minibn/equations/rnn.py and bn_rnn.py.

#include "common.cuh"
#include "rnn_forward.cuh"
#include "rnn_backward.cuh"

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
