// The four things that only the machine itself can do. tests/cuda_on_cpu/machine.cuh does the same four on a CPU, where
// it takes the copies that are done at once from here.

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

// The block's dynamic shared memory.
__device__ inline real* shared_memory() {
    extern __shared__ __align__(32) unsigned char bytes[];
    return reinterpret_cast<real*>(bytes);
}

// The launcher and the kernel both count the shared memory; where they disagree, stop instead of overwriting.
__device__ inline void check_shared_memory(const real* end) {
    unsigned bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    if (reinterpret_cast<const unsigned char*>(end) > reinterpret_cast<unsigned char*>(shared_memory()) + bytes)
        asm("trap;");
}

// Copies from global to shared memory: one number, or 16 bytes at once, which both sides must be aligned to. A group is
// closed by `end_of_copies`, and `copies_arrived<1>()` waits for all groups but the last one. A number is there after
// `copies_arrived<0>()` and a __syncthreads(). From sm_80 on (Ampere) they go on while the threads do other things;
// before (a T4, an RTX 20) each is done at once, which is right wherever a late one is.
#if __CUDA_ARCH__ >= 800

__device__ inline void start_copy(real* shared, const real* global) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::
                 "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global), "n"(sizeof(real)) : "memory");
}

__device__ inline void start_wide_copy(real* shared, const real* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::
                 "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global) : "memory");
}

__device__ inline void end_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int STILL_ON_THE_WAY>
__device__ inline void copies_arrived() {
    asm volatile("cp.async.wait_group %0;" :: "n"(STILL_ON_THE_WAY) : "memory");
}

#else

struct alignas(16) Wide { real at[16 / sizeof(real)]; };

__device__ inline void start_copy(real* shared, const real* global) { *shared = *global; }

__device__ inline void start_wide_copy(real* shared, const real* global) {
    *reinterpret_cast<Wide*>(shared) = *reinterpret_cast<const Wide*>(global);
}

__device__ inline void end_of_copies() {}

template <int STILL_ON_THE_WAY>
__device__ inline void copies_arrived() {}

#endif

// What a thread does while it waits for the other blocks.
__device__ inline void pause() {}
