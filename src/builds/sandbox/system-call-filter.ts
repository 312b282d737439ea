/**
 * What a job may not ask of the kernel, whatever its rights: what only machines' administrators use, what has been
 * the way out of sandboxes, and what writes into a terminal as if somebody had typed it. All else is allowed: a
 * compiler's needs are not for us to list.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { ALLOW, type Rule, assembleFilter, failWith } from "../../linux/bpf.ts";
import { ERRNO } from "../../linux/errno.ts";

const CLONE_NEWUSER = 0x1000_0000n;
const TIOCSTI = 0x5412n;
const TIOCLINUX = 0x541cn;
/** Loads the kernel's module of a line discipline. */
const TIOCSETD = 0x5423n;

/** Kinds of sockets that a namespace keeps in, and that builds use; not those to virtual machines and their hosts. */
const AF_UNIX = 1n;
const AF_INET = 2n;
const AF_INET6 = 10n;
const AF_NETLINK = 16n;

const denied = failWith(ERRNO.EPERM);

const RULES: readonly Rule[] = [
  ...(
    [
      ...[
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "move_mount",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
      ],
      ...["open_tree", "mount_setattr", "setns", "unshare", "bpf", "perf_event_open", "userfaultfd"],
      ...[
        "add_key",
        "request_key",
        "keyctl",
        "io_uring_setup",
        "init_module",
        "finit_module",
        "delete_module",
      ],
      ...["kexec_load", "reboot", "swapon", "swapoff", "settimeofday", "clock_settime", "clock_adjtime"],
      ...["adjtimex", "quotactl", "acct", "syslog", "open_by_handle_at", "name_to_handle_at"],
      ...["process_vm_readv", "process_vm_writev", "kcmp", "fanotify_init"],
    ] as const
  ).map((call): Rule => ({ call, action: denied })),
  { call: "clone", when: [{ argument: 0, hasBits: CLONE_NEWUSER }], action: denied },
  { call: "clone", action: ALLOW },
  // Its flags lie in memory, where no filter sees them; the C library then takes clone.
  { call: "clone3", action: failWith(ERRNO.ENOSYS) },
  ...[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].map((family): Rule => ({
    call: "socket",
    when: [{ argument: 0, equals: family }],
  })),
  { call: "socket", action: failWith(ERRNO.EAFNOSUPPORT) },
  { call: "socketpair", when: [{ argument: 0, equals: AF_UNIX }] },
  { call: "socketpair", action: failWith(ERRNO.EAFNOSUPPORT) },
  ...[TIOCSTI, TIOCLINUX, TIOCSETD].map((request): Rule => ({
    call: "ioctl",
    when: [{ argument: 1, equals: request }],
    action: denied,
  })),
  // The kernel reads 32 bits of the number: whatever else is in the other half must not hide these. C libraries
  // that take it for a signed number fill that half with the sign.
  { call: "ioctl", when: [{ argument: 1, atMost: 0xffff_ffffn }], action: ALLOW },
  { call: "ioctl", when: [{ argument: 1, hasBits: 0xffff_ffff_8000_0000n }], action: ALLOW },
  { call: "ioctl", action: denied },
];

/** The filter's program, for `bwrap --seccomp`. */
export const systemCallFilter = () =>
  assembleFilter({ architecture: HOST_ARCHITECTURE, rules: RULES, otherwise: ALLOW });
