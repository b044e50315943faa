// The four things that only the machine itself can do. tests/cuda_on_cpu/machine.cuh does the same four on a CPU.

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

// Start copying one number from global to shared memory; it is there after `copies_arrived<0>()` and a __syncthreads().
__device__ inline void start_copy(real* shared, const real* global) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::
                 "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global), "n"(sizeof(real)) : "memory");
}

// The same for 16 bytes at once, which both sides must be aligned to.
__device__ inline void start_wide_copy(real* shared, const real* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::
                 "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global) : "memory");
}

// Closes a group of copies: `copies_arrived<1>()` waits for all groups but the last one.
__device__ inline void end_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int STILL_ON_THE_WAY>
__device__ inline void copies_arrived() {
    asm volatile("cp.async.wait_group %0;" :: "n"(STILL_ON_THE_WAY) : "memory");
}

// What a thread does while it waits for the other blocks.
__device__ inline void pause() {}
