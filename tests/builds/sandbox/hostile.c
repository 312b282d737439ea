/* What a job tries, one thing a line: its name, and how far it came. Linked statically, run inside. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
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
    tell("raw memory", syscall(SYS_open, "/dev/mem", 0));
    tell("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0));
    return 0;
}
