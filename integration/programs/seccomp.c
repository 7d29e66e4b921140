/* Runs a program under a filter of system calls, as a container runtime's default profile has it for
 * a process without capabilities: what administers the machine, its kernel, its namespaces, or other
 * processes' memory is not permitted (EPERM), and `clone3` does not exist, because its flags cannot
 * be looked at.
 *
 * seccomp PROGRAM [ARGUMENT...] */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "which architecture is it?"
#endif

#define NEW_NAMESPACES 0x7e020000u
#define VSOCK 40

static const int denied[] = {
#ifdef __NR_ioperm
    __NR_ioperm, __NR_iopl, __NR_create_module, __NR_get_kernel_syms, __NR_query_module,
    __NR_sysfs, __NR_ustat, __NR_uselib, __NR__sysctl,
#endif
#ifdef __NR_lookup_dcookie
    __NR_lookup_dcookie,
#endif
    __NR_acct, __NR_add_key, __NR_bpf, __NR_chroot, __NR_clock_settime, __NR_delete_module,
    __NR_fanotify_init, __NR_finit_module, __NR_fsconfig, __NR_fsmount, __NR_fsopen, __NR_fspick,
    __NR_get_mempolicy, __NR_init_module, __NR_io_uring_enter, __NR_io_uring_register,
    __NR_io_uring_setup, __NR_kcmp, __NR_kexec_file_load, __NR_kexec_load, __NR_keyctl,
    __NR_mbind, __NR_migrate_pages, __NR_mount, __NR_mount_setattr, __NR_move_mount,
    __NR_move_pages, __NR_nfsservctl, __NR_open_by_handle_at, __NR_open_tree,
    __NR_perf_event_open, __NR_pidfd_getfd, __NR_pivot_root, __NR_process_madvise, __NR_quotactl,
    __NR_quotactl_fd, __NR_reboot, __NR_request_key, __NR_set_mempolicy, __NR_setdomainname,
    __NR_sethostname, __NR_setns, __NR_settimeofday, __NR_swapoff, __NR_swapon, __NR_syslog,
    __NR_umount2, __NR_unshare, __NR_userfaultfd, __NR_vhangup,
};

static struct sock_filter filter[512];
static unsigned short length;

static void add(unsigned short code, unsigned value, unsigned char yes, unsigned char no) {
    filter[length++] = (struct sock_filter)BPF_JUMP(code, value, yes, no);
}

static void load(unsigned offset) { add(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }

static void answer(unsigned error) {
    add(BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_ALLOW, 0, 0);
}

int main(int argc, char **argv) {
    const unsigned number = offsetof(struct seccomp_data, nr);
    const unsigned first = offsetof(struct seccomp_data, args);
    if (argc < 2) return 2;
    load(offsetof(struct seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    answer(EPERM);
    load(number);
#ifdef __x86_64__
    /* The other table of the same architecture. */
    add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    answer(EPERM);
#endif
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        add(BPF_JMP | BPF_JEQ | BPF_K, denied[i], 0, 1);
        answer(EPERM);
    }
    add(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1);
    answer(ENOSYS);
    add(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3);
    load(first);
    add(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1);
    answer(EPERM);
    load(number);
    add(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3);
    load(first);
    add(BPF_JMP | BPF_JEQ | BPF_K, VSOCK, 0, 1);
    answer(EPERM);
    answer(0);

    struct sock_fprog program = {.len = length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        return 1;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
