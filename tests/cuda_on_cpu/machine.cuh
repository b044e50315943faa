// The CPU's version of minibn/kernels/cuda/machine.cuh: the same functions, and a check in each.

typedef REAL real;

inline real* shared_memory() {
    return reinterpret_cast<real*>(cuda_on_cpu::aligned(cuda_on_cpu::running->block->shared));
}

inline void check_shared_memory(const real* end) {
    const size_t used = reinterpret_cast<const unsigned char*>(end) - reinterpret_cast<unsigned char*>(shared_memory());
    const size_t asked = cuda_on_cpu::running->block->shared_bytes;
    if (used != asked)
        cuda_on_cpu::fail("the kernel uses " + std::to_string(used) + " bytes of shared memory, the launch asks for " +
                          std::to_string(asked));
}

// Copies arrive at once, done by the very text for GPUs before sm_80, or as late as they may, by the order of the run:
// both are right, so both must work.
namespace at_once {
// THE COPIES OF minibn/kernels/cuda/machine.cuh
}

inline void start_copy(real* shared, const real* global) {
    auto* block = cuda_on_cpu::running->block;
    const auto* at = reinterpret_cast<unsigned char*>(shared);
    if (at < block->shared.data() || at >= block->shared.data() + block->shared.size())
        cuda_on_cpu::fail("an asynchronous copy to somewhere else than shared memory");
    if (cuda_on_cpu::eager_copies)
        at_once::start_copy(shared, global);
    else
        cuda_on_cpu::running->copies.back().push_back([=] { *shared = *global; });
}

inline void start_wide_copy(real* shared, const real* global) {
    if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16)
        cuda_on_cpu::fail("a copy of 16 bytes that is not aligned");
    if (cuda_on_cpu::eager_copies)
        at_once::start_wide_copy(shared, global);
    else
        for (size_t i = 0; i < 16 / sizeof(real); ++i) start_copy(&shared[i], &global[i]);
}

inline void end_of_copies() { cuda_on_cpu::running->copies.emplace_back(); }

template <int STILL_ON_THE_WAY>
void copies_arrived() {
    auto& copies = cuda_on_cpu::running->copies;            // the last group is open, and not waited for
    while (copies.size() > STILL_ON_THE_WAY + 1) {
        for (auto& copy : copies.front()) copy();
        copies.erase(copies.begin());
    }
}

inline void pause() { cuda_on_cpu::back_to_scheduler(); }
