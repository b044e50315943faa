// CUDA's language on a CPU: enough of it to run the project's kernels, slowly, where no GPU is.
//
// Every thread of every block is a fiber, so that all blocks are there at once, as in a cooperative launch. A fiber
// runs until it waits; which one runs next is the caller's choice (side by side, or some blocks far ahead of others), so
// that a missing barrier shows as a wrong result and not only now and then. Shared memory starts as NaN and has a fence
// behind it.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)

using std::max;
using std::min;
using std::sqrt;
using std::tanh;

namespace cuda_on_cpu {

struct Index { unsigned x = 0, y = 0, z = 0; };

struct Barrier {                    // `passed` tells who waits that all have come
    unsigned size = 0, arrived = 0, passed = 0;
};

struct Warp {
    Barrier barrier;
    double values[2][32];           // of a shuffle and of the next
};

struct Block {
    Barrier barrier;
    std::vector<Warp> warps;
    std::vector<unsigned char> shared;
    size_t shared_bytes = 0;
};

struct Fiber {
    ucontext_t start;
    jmp_buf place;
    bool started = false, finished = false;
    const unsigned* watched = nullptr;      // not runnable while *watched == seen
    unsigned seen = 0;
    Index thread, block_index;
    Block* block = nullptr;
    int shuffles = 0;
    std::vector<std::vector<std::function<void()>>> copies;     // groups on their way; the last is open
    std::unique_ptr<char[]> stack;
};

inline Fiber* running = nullptr;
inline jmp_buf scheduler;
inline Index grid_size, block_size;
inline std::function<void()> body;
inline unsigned long progress = 0;
inline bool eager_copies = false;
inline std::string error;

inline void back_to_scheduler() {
    if (!_setjmp(running->place)) _longjmp(scheduler, 1);
}

// The first place of `bytes` that any number may lie at.
inline unsigned char* aligned(std::vector<unsigned char>& bytes) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.data() + ((address + 31) / 32 * 32 - address);
}

inline void fail(const std::string& message) {
    if (error.empty()) error = message;
}

inline void wait(Barrier& barrier) {
    ++progress;
    if (++barrier.arrived == barrier.size) {
        barrier.arrived = 0;
        ++barrier.passed;
    } else {
        running->watched = &barrier.passed;
        running->seen = barrier.passed;
        back_to_scheduler();
        running->watched = nullptr;
    }
}

inline void run_fiber() {
    body();
    if (!running->copies.back().empty() || running->copies.size() > 1)
        for (auto& group : running->copies)
            if (!group.empty()) fail("a thread ends while copies are on their way");
    running->finished = true;
    ++progress;
    _longjmp(scheduler, 1);
}

__attribute__((noinline)) inline void resume(Fiber* fiber) {
    running = fiber;
    if (_setjmp(scheduler)) return;             // the fiber waits or has finished
    if (fiber->started) _longjmp(fiber->place, 1);
    fiber->started = true;
    setcontext(&fiber->start);
}

// Run blocks first .. first + blocks - 1 of a kernel: body() once for every thread.
inline void run_together(unsigned first, unsigned blocks, unsigned threads, size_t shared_bytes, int order) {
    const size_t fence = 64, stack_bytes = 64 * 1024;
    std::vector<Block> block(blocks);
    std::vector<std::unique_ptr<Fiber>> fibers;
    for (unsigned b = 0; b < blocks; ++b) {
        block[b].barrier.size = threads;
        block[b].warps.resize(threads / 32);
        for (Warp& warp : block[b].warps) warp.barrier.size = 32;
        block[b].shared.assign(shared_bytes + fence + 32, 0xff);        // NaN as float and as double
        block[b].shared_bytes = shared_bytes;
        for (unsigned i = 0; i < threads; ++i) {
            fibers.push_back(std::make_unique<Fiber>());
            Fiber& fiber = *fibers.back();
            fiber.thread.x = i;
            fiber.block_index.x = first + b;
            fiber.block = &block[b];
            fiber.copies.resize(1);
            fiber.stack.reset(new char[stack_bytes]);
            getcontext(&fiber.start);
            fiber.start.uc_stack.ss_sp = fiber.stack.get();
            fiber.start.uc_stack.ss_size = stack_bytes;
            fiber.start.uc_link = nullptr;
            makecontext(&fiber.start, run_fiber, 0);
        }
    }
    // Orders 0 and 1: all blocks go side by side. From 2 on: in random order, each block as far as it can alone.
    std::mt19937 random(order);
    std::vector<unsigned> turns(blocks);
    std::vector<unsigned> places(threads);
    for (unsigned b = 0; b < blocks; ++b) turns[b] = order == 1 ? blocks - 1 - b : b;
    for (unsigned i = 0; i < threads; ++i) places[i] = order == 1 ? threads - 1 - i : i;
    for (size_t unfinished = fibers.size(); unfinished > 0;) {
        const unsigned long before = progress;
        if (order > 1) std::shuffle(turns.begin(), turns.end(), random);
        for (unsigned b : turns) {
            unsigned long before_block;
            do {
                before_block = progress;
                if (order > 1) std::shuffle(places.begin(), places.end(), random);
                for (unsigned i : places) {
                    Fiber* fiber = fibers[b * threads + i].get();
                    if (fiber->finished || (fiber->watched && *fiber->watched == fiber->seen)) continue;
                    resume(fiber);
                    if (fiber->finished) --unfinished;
                    if (!error.empty()) return;
                }
            } while (order > 1 && progress != before_block);
        }
        if (progress == before) return fail("deadlock: every thread waits");
    }
    for (Block& b : block) {
        const unsigned char* behind = aligned(b.shared) + shared_bytes;
        for (size_t i = 0; i < fence; ++i)
            if (behind[i] != 0xff) return fail("a block wrote beyond its shared memory");
    }
}

// Only a cooperative launch has all blocks there at once; others run one after the other, the last one first.
inline void run(unsigned blocks, unsigned threads, size_t shared_bytes, bool cooperative, int order) {
    grid_size.x = blocks;
    block_size.x = threads;
    eager_copies = order % 2 == 1;
    if (cooperative) return run_together(0, blocks, threads, shared_bytes, order);
    for (unsigned b = blocks; b > 0 && error.empty(); --b) run_together(b - 1, 1, threads, shared_bytes, order);
}

}  // namespace cuda_on_cpu

#define threadIdx (cuda_on_cpu::running->thread)
#define blockIdx (cuda_on_cpu::running->block_index)
#define blockDim (cuda_on_cpu::block_size)
#define gridDim (cuda_on_cpu::grid_size)

inline void __syncthreads() { cuda_on_cpu::wait(cuda_on_cpu::running->block->barrier); }
inline void __threadfence() {}

inline unsigned atomicAdd(unsigned* to, unsigned value) {
    ++cuda_on_cpu::progress;
    const unsigned before = *to;
    *to += value;
    return before;
}

template <class Number>
Number __shfl_xor_sync(unsigned mask, Number value, int distance) {
    auto* fiber = cuda_on_cpu::running;
    if (mask != 0xffffffffu) cuda_on_cpu::fail("a shuffle of part of a warp");
    auto& warp = fiber->block->warps[fiber->thread.x / 32];
    double* values = warp.values[fiber->shuffles++ % 2];
    values[fiber->thread.x % 32] = value;
    cuda_on_cpu::wait(warp.barrier);
    return Number(values[(fiber->thread.x % 32) ^ distance]);
}
