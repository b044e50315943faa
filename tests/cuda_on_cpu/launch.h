// Launching a kernel by its name with pointers to its arguments, as the CUDA driver does, and asking for its signature.

namespace cuda_on_cpu {

template <class Argument>
char code() {
    if (std::is_same<Argument, int>::value) return 'i';
    if (std::is_same<Argument, real>::value) return 'r';
    if (std::is_same<Argument, real*>::value) return 'W';           // written
    if (std::is_same<Argument, const real*>::value) return 'R';     // only read
    if (std::is_same<Argument, const bool*>::value) return 'B';
    if (std::is_same<Argument, unsigned*>::value) return 'U';
    if (std::is_same<Argument, const long long*>::value) return 'L';
    return '?';
}

struct Kernel {
    std::string signature;
    std::function<void(void**)> call;
};

inline std::map<std::string, Kernel> kernels;

template <class... Arguments, size_t... position>
Kernel make_kernel(void (*function)(Arguments...), std::index_sequence<position...>) {
    return {{code<Arguments>()...}, [=](void** arguments) { function(*static_cast<Arguments*>(arguments[position])...); }};
}

template <class... Arguments>
bool add_kernel(const char* name, void (*function)(Arguments...)) {
    kernels[name] = make_kernel(function, std::index_sequence_for<Arguments...>());
    return true;
}

}  // namespace cuda_on_cpu

extern "C" const char* kernel_signature(const char* name) {
    const auto found = cuda_on_cpu::kernels.find(name);
    return found == cuda_on_cpu::kernels.end() ? nullptr : found->second.signature.c_str();
}

// Returns null, or what went wrong.
extern "C" const char* launch_kernel(const char* name, int blocks, int threads, size_t shared_bytes,
                                     bool cooperative, int order, void** arguments) {
    cuda_on_cpu::error.clear();
    const auto& kernel = cuda_on_cpu::kernels.at(name);
    cuda_on_cpu::body = [&kernel, arguments] { kernel.call(arguments); };
    cuda_on_cpu::run(blocks, threads, shared_bytes, cooperative, order);
    return cuda_on_cpu::error.empty() ? nullptr : cuda_on_cpu::error.c_str();
}
