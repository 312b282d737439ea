/* What a job tries, one thing a line: its name, and how far it came. Linked statically, run inside. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

static void tell(const char *what, long result)
{
    printf("%s: %s\n", what, result >= 0 ? "DONE" : strerror(errno));
}

int main(void)
{
    struct timeval time = { 1, 0 };
    char typed = 'x';
    int pair[2];
    tell("clock", settimeofday(&time, NULL));
    tell("mount", mount("tmpfs", "/mnt", "tmpfs", 0, ""));
    tell("unmount", umount2("/proc", MNT_DETACH));
    tell("chroot", chroot("/tmp"));
    tell("user namespace", unshare(CLONE_NEWUSER));
    tell("user namespace by clone", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
    tell("clone3", syscall(SYS_clone3, 0, 0));
    tell("host name", sethostname("x", 1));
    tell("module", syscall(SYS_init_module, 0, 0, ""));
    tell("kernel log", syscall(SYS_syslog, 3, &typed, 1));
    tell("bpf", syscall(SYS_bpf, 0, 0, 0));
    tell("keys", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    tell("typing", syscall(SYS_ioctl, 0, 0x5412UL, &typed));
    tell("typing by a large number", syscall(SYS_ioctl, 0, 0x100005412UL, &typed));
    tell("line discipline", syscall(SYS_ioctl, 0, 0x5423UL, &typed));
    tell("namespaces of process 1", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
    tell("files by handle", syscall(SYS_open_by_handle_at, -1, &time, 0));
    tell("memory of process 1", syscall(SYS_process_vm_writev, 1, 0, 0, 0, 0, 0));
    tell("rings", syscall(SYS_io_uring_setup, 1, 0));
    tell("page faults", syscall(SYS_userfaultfd, 0));
    tell("device", mknod("/tmp/disk", S_IFBLK | 0666, makedev(8, 0)));
    tell("raw packets", socket(AF_PACKET, SOCK_RAW, 0));
    tell("raw IP", socket(AF_INET, SOCK_RAW, 1));
    /* To the machine's own services, or to the one that this one is a guest of: no network namespace keeps these in. */
    tell("virtual machines' sockets", socket(40, SOCK_STREAM, 0));
    tell("the kernel's ciphers", socket(38, SOCK_SEQPACKET, 0));
    tell("a pair of another kind", socketpair(30, SOCK_STREAM, 0, pair));
    tell("raw memory", syscall(SYS_open, "/dev/mem", 0));
    tell("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0));
    return 0;
}
