/* Writes down everything that a process does to the files below one folder, so that what a disk would hold after a loss
 * of power can be worked out; and bends clocks, syncs and free space on request. For tests: loaded with LD_PRELOAD.
 *
 * A seccomp filter traps each system call that changes files, wherever it comes from (std, SQLite's C, crates that go
 * round the C library), and the handler of SIGSYS makes the call itself: from the one instruction that the filter lets
 * pass. Wrapping the C library's functions would be simpler, but misses the renames that fjall makes through rustix.
 *
 * Invariants:
 * - Changes are made under one lock, each written down before it is made, its result after. So the order in the trace is
 *   the order in the file system, and only the last change can be without a result when the process is killed.
 * - A sync is written down before it begins, and has its result when it has ended: what stands before it is durable then.
 *   Syncs are made without the lock.
 * - The handler uses no memory but its stack and calls nothing of the C library but mem* and str*.
 *
 * Environment: KAPELLE_TRACE_ROOT (the folder, absolute, without links), KAPELLE_TRACE_FILE (what is written),
 * KAPELLE_TRACE_CONTROL (struct control, changed from outside while we run). Without the first two only clocks are bent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- what is written; read by crates/kapelle/tests/it/crash/powercut/trace.rs ---- */

enum kind {
    OPENED = 1, WRITE, TRUNCATE, ALLOCATE, RENAME, UNLINK, RMDIR, LINK, MKDIR, SYNC, MAPPED, UNKNOWN,
};

enum { CREATED = 1, ZEROS = 1, DATA_ONLY = 1, EMPTIED = 2 };

#define UNDECIDED INT64_MIN

struct __attribute__((packed)) record {
    uint32_t magic;
    uint16_t kind;
    uint16_t flags;
    uint64_t ino;
    uint64_t offset;
    uint64_t length;
    uint64_t payload;
    uint32_t path, path_to;
    int64_t result;
};

#define MAGIC 0x4352544bu

/* ---- what can be bent ---- */

struct control {
    int64_t clock_offset_ns;  /* added to the wall clock */
    int64_t room;             /* bytes by which files may still grow; below 0: as many as they like */
    int64_t lie;              /* not 0: syncs do nothing and say that they did */
    int64_t fail_sync;        /* counts down with each sync; the one that brings it to 0 fails */
    int64_t syncs;            /* counted here, for whoever watches */
    int64_t sync_delay_ns;    /* less than a second that each sync takes longer */
};

static struct control none = { .room = -1 };
static struct control *control = &none;

static char root[PATH_MAX];
static size_t root_length;
static dev_t root_device;
static int trace = -1;
static uint64_t trace_end;
static int lock_word;

/* ---- system calls past the filter ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
__asm__(".text\n.globl trace_raw\n.type trace_raw,@function\ntrace_raw:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\n.globl trace_past\ntrace_past:\nret\n");
#define ARGUMENT(context, n) \
    ((context)->uc_mcontext.gregs[(int[]){ REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9 }[n]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n.globl trace_raw\n.type trace_raw,%function\ntrace_raw:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,x6\n"
        "svc #0\n.globl trace_past\ntrace_past:\nret\n");
#define ARGUMENT(context, n) ((context)->uc_mcontext.regs[n])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "the tracer knows x86-64 and arm64"
#endif

extern long trace_raw(long number, long a, long b, long c, long d, long e, long f);
extern char trace_past[];

#define raw(number, ...) raw_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define raw_(number, a, b, c, d, e, f, ...) \
    trace_raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void take_lock(void)
{
    while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE))
        raw(SYS_sched_yield);
}

static void give_lock(void)
{
    __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
}

/* The test must not go on with half a trace. */
static void give_up(const char *why)
{
    raw(SYS_write, 2, why, strlen(why));
    raw(SYS_write, 2, "\n", 1);
    raw(SYS_exit_group, 99);
}

/* ---- which files are ours: a set of inode numbers, read without the lock ---- */

#define SLOTS (1u << 16)
#define GONE UINT64_MAX
static uint64_t ours[SLOTS];

static uint64_t *slot_of(uint64_t ino, int for_adding)
{
    uint64_t *free_slot = NULL;
    for (uint64_t n = 0, at = ino * 0x9e3779b97f4a7c15u; n < SLOTS; n++) {
        uint64_t *slot = &ours[(at + n) % SLOTS];
        uint64_t found = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (found == ino)
            return slot;
        if (found == GONE && !free_slot)
            free_slot = slot;
        if (found == 0)
            return for_adding ? (free_slot ? free_slot : slot) : NULL;
    }
    if (for_adding)
        give_up("the tracer's set of files is full");
    return NULL;
}

static void remember(uint64_t ino)
{
    __atomic_store_n(slot_of(ino, 1), ino, __ATOMIC_RELEASE);
}

static void forget(uint64_t ino)
{
    uint64_t *slot = slot_of(ino, 0);
    if (slot)
        __atomic_store_n(slot, GONE, __ATOMIC_RELEASE);
}

/* The inode of an open file, or 0 if it is none of ours. */
static uint64_t ino_of(long fd, struct stat *status)
{
    if (raw(SYS_fstat, fd, status) != 0 || status->st_dev != root_device)
        return 0;
    if (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode))
        return 0;
    return slot_of(status->st_ino, 0) ? status->st_ino : 0;
}

/* ---- paths ---- */

/* Makes an absolute path of what a call was given; whether it is below our folder. */
static int resolve(long dirfd, const char *path, char *out)
{
    size_t length = 0;
    if (path[0] != '/') {
        long got;
        if ((int)dirfd == AT_FDCWD) {
            got = raw(SYS_getcwd, out, PATH_MAX) - 1;
        } else {
            char link[32] = "/proc/self/fd/", digits[12];
            int count = 0;
            for (long rest = dirfd; count == 0 || rest > 0; rest /= 10)
                digits[count++] = (char)('0' + rest % 10);
            for (char *to = link + strlen(link); count > 0;)
                *to++ = digits[--count];
            got = raw(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
        }
        if (got <= 0)
            return 0;
        length = (size_t)got;
        out[length++] = '/';
    }
    size_t more = strlen(path);
    if (length + more >= PATH_MAX)
        return 0;
    memcpy(out + length, path, more + 1);
    return strncmp(out, root, root_length) == 0 && (out[root_length] == '/' || out[root_length] == 0);
}

/* ---- writing down ---- */

/* Under the lock. Where the record lies, for `decide`. */
static uint64_t note(struct record *record, const char *path, const char *path_to, const struct iovec *data, int count)
{
    static const char empty[1];
    record->magic = MAGIC;
    record->result = UNDECIDED;
    record->path = path ? (uint32_t)strlen(path) : 0;
    record->path_to = path_to ? (uint32_t)strlen(path_to) : 0;
    struct iovec parts[3] = {
        { record, sizeof *record },
        { (void *)(path ? path : empty), record->path },
        { (void *)(path_to ? path_to : empty), record->path_to },
    };
    uint64_t at = trace_end, end = at;
    for (int part = 0; part < 3 + count; part++) {
        const struct iovec *from = part < 3 ? &parts[part] : &data[part - 3];
        size_t done = 0;
        while (done < from->iov_len) {
            long wrote = raw(SYS_pwrite64, trace, (char *)from->iov_base + done, from->iov_len - done, end);
            if (wrote <= 0)
                give_up("the trace cannot be written");
            done += (size_t)wrote;
            end += (uint64_t)wrote;
        }
    }
    trace_end = end;
    return at;
}

static void decide(uint64_t at, long result)
{
    int64_t word = result;
    if (raw(SYS_pwrite64, trace, &word, sizeof word, at + offsetof(struct record, result)) != sizeof word)
        give_up("the trace cannot be written");
}

static void note_done(struct record *record, const char *path, long result)
{
    decide(note(record, path, NULL, NULL, 0), result);
}

static int is_zeros(const char *bytes, size_t length)
{
    return length >= 4096 && bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* Whether files may grow by so much; takes it off. */
static int has_room(int64_t growth)
{
    if (growth <= 0 || control->room < 0)
        return 1;
    if (control->room < growth)
        return 0;
    control->room -= growth;
    return 1;
}

/* ---- the calls ---- */

static long traced_write(long number, long fd, const struct iovec *data, int count, int64_t at, long call[6])
{
    struct stat status;
    if (!ino_of(fd, &status))
        return raw(number, call[0], call[1], call[2], call[3], call[4], call[5]);
    take_lock();
    raw(SYS_fstat, fd, &status);
    if (at < 0) {
        int appends = (raw(SYS_fcntl, fd, F_GETFL) & O_APPEND) != 0;
        at = appends ? status.st_size : raw(SYS_lseek, fd, 0, SEEK_CUR);
    }
    struct record record = { .kind = WRITE, .ino = status.st_ino, .offset = (uint64_t)at };
    int zeros = 1;
    for (int n = 0; n < count; n++) {
        record.length += data[n].iov_len;
        zeros = zeros && is_zeros(data[n].iov_base, data[n].iov_len);
    }
    long result = -ENOSPC;
    if (has_room(at + (int64_t)record.length - status.st_size)) {
        record.flags = zeros ? ZEROS : 0;
        record.payload = zeros ? 0 : record.length;
        uint64_t noted = note(&record, NULL, NULL, data, zeros ? 0 : count);
        result = raw(number, call[0], call[1], call[2], call[3], call[4], call[5]);
        decide(noted, result);
    }
    give_lock();
    return result;
}

static long traced_truncate(long fd, long length)
{
    struct stat status;
    if (!ino_of(fd, &status))
        return raw(SYS_ftruncate, fd, length);
    take_lock();
    struct record record = { .kind = TRUNCATE, .ino = status.st_ino, .offset = (uint64_t)length };
    uint64_t noted = note(&record, NULL, NULL, NULL, 0);
    long result = raw(SYS_ftruncate, fd, length);
    decide(noted, result);
    give_lock();
    return result;
}

static long traced_allocate(long fd, long mode, long offset, long length)
{
    struct stat status;
    if (!ino_of(fd, &status))
        return raw(SYS_fallocate, fd, mode, offset, length);
    take_lock();
    raw(SYS_fstat, fd, &status);
    struct record record = { .kind = mode == 0 ? ALLOCATE : UNKNOWN, .ino = status.st_ino,
                             .offset = (uint64_t)offset, .length = (uint64_t)length };
    long result = -ENOSPC;
    if (has_room(offset + length - status.st_size)) {
        uint64_t noted = note(&record, NULL, NULL, NULL, 0);
        result = raw(SYS_fallocate, fd, mode, offset, length);
        decide(noted, result);
    }
    give_lock();
    return result;
}

static long traced_open(long dirfd, const char *path, long flags, long mode)
{
    char full[PATH_MAX];
    struct stat status;
    int is_ours = resolve(dirfd, path, full);
    if (is_ours && (flags & O_TMPFILE) == O_TMPFILE)
        give_up("the tracer does not know files without a name");
    if (!is_ours) {
        long fd = raw(SYS_openat, dirfd, path, flags, mode);
        /* A number that was a file of ours is another file now. */
        if (fd >= 0 && (flags & O_CREAT) && ino_of(fd, &status))
            forget(status.st_ino);
        return fd;
    }
    take_lock();
    int existed = raw(SYS_faccessat, AT_FDCWD, full, F_OK) == 0;
    int changes = (!existed && (flags & O_CREAT)) || (existed && (flags & O_TRUNC));
    struct record record = { .kind = OPENED };
    record.flags = (uint16_t)((!existed ? CREATED : 0) | ((flags & O_TRUNC) ? EMPTIED : 0));
    uint64_t noted = changes ? note(&record, full, NULL, NULL, 0) : 0;
    long fd = raw(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && raw(SYS_fstat, fd, &status) == 0) {
        remember(status.st_ino);
        uint64_t ino = status.st_ino;
        record.ino = ino;
        if (!changes)
            noted = note(&record, full, NULL, NULL, 0);
        else if (raw(SYS_pwrite64, trace, &ino, sizeof ino, noted + offsetof(struct record, ino)) != sizeof ino)
            give_up("the trace cannot be written");
        decide(noted, 0);
    } else if (changes) {
        decide(noted, fd);
    }
    give_lock();
    return fd;
}

/* What a file gives back when its last name goes. */
static int64_t size_of_last(const char *path)
{
    struct stat status;
    if (raw(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return S_ISREG(status.st_mode) && status.st_nlink == 1 ? status.st_size : 0;
}

/* Calls that change names: `kind` says how. */
static long traced_names(long number, enum kind kind, long dirfd, const char *path, long dirfd_to, const char *path_to,
                         long call[6])
{
    char from[PATH_MAX], to[PATH_MAX];
    int is_ours = resolve(dirfd, path, from);
    if (path_to)
        is_ours += resolve(dirfd_to, path_to, to);
    if (!is_ours)
        return raw(number, call[0], call[1], call[2], call[3], call[4], call[5]);
    if (path_to && is_ours == 1)
        give_up("a file crossed the border of the traced folder");
    take_lock();
    struct record record = { .kind = kind };
    uint64_t noted = note(&record, from, path_to ? to : NULL, NULL, 0);
    int64_t freed = kind == UNLINK ? size_of_last(from) : 0;
    long result = raw(number, call[0], call[1], call[2], call[3], call[4], call[5]);
    decide(noted, result);
    if (result == 0 && control->room >= 0)
        control->room += freed;
    give_lock();
    return result;
}

/* Where room is bent, free space is what is left of it. */
static long bent_statfs(const char *path, struct statfs *status)
{
    long result = raw(SYS_statfs, path, status);
    if (result == 0 && control->room >= 0 && status->f_bsize > 0)
        status->f_bavail = (fsblkcnt_t)(control->room / status->f_bsize);
    return result;
}

static long traced_sync(long number, long fd)
{
    struct stat status;
    if (!ino_of(fd, &status))
        return raw(number, fd);
    __atomic_fetch_add(&control->syncs, 1, __ATOMIC_RELAXED);
    if (control->lie)
        return 0;
    if (control->fail_sync > 0 && __atomic_sub_fetch(&control->fail_sync, 1, __ATOMIC_RELAXED) == 0)
        return -EIO;
    if (control->sync_delay_ns > 0) {
        /* Before it is written down: who dies meanwhile has synced nothing. */
        struct timespec delay = { .tv_nsec = control->sync_delay_ns };
        raw(SYS_nanosleep, &delay, 0);
    }
    struct record record = { .kind = SYNC, .ino = status.st_ino };
    record.flags = number == SYS_fdatasync ? DATA_ONLY : 0;
    take_lock();
    uint64_t noted = note(&record, NULL, NULL, NULL, 0);
    give_lock();
    long result = raw(number, fd);
    decide(noted, result);
    return result;
}

static long traced_map(long call[6])
{
    struct stat status;
    uint64_t ino = ino_of(call[4], &status);
    if (ino) {
        struct record record = { .kind = MAPPED, .ino = ino };
        take_lock();
        note_done(&record, NULL, 0);
        give_lock();
    }
    return raw(SYS_mmap, call[0], call[1], call[2], call[3], call[4], call[5]);
}

static long unknown_call(long number, long fd, long call[6])
{
    struct stat status;
    if (ino_of(fd, &status))
        give_up("the tracer does not know one of the calls that were made");
    return raw(number, call[0], call[1], call[2], call[3], call[4], call[5]);
}

static long traced(long number, long call[6])
{
    struct iovec one = { (void *)call[1], (size_t)call[2] };
    const struct iovec *many = (const struct iovec *)call[1];
    const char *first = (const char *)call[0], *second = (const char *)call[1];
    switch (number) {
    case SYS_write: return traced_write(number, call[0], &one, 1, -1, call);
    case SYS_pwrite64: return traced_write(number, call[0], &one, 1, call[3], call);
    case SYS_writev: return traced_write(number, call[0], many, (int)call[2], -1, call);
    case SYS_pwritev: return traced_write(number, call[0], many, (int)call[2], call[3], call);
    case SYS_pwritev2: return traced_write(number, call[0], many, (int)call[2], call[3], call);
    case SYS_ftruncate: return traced_truncate(call[0], call[1]);
    case SYS_fallocate: return traced_allocate(call[0], call[1], call[2], call[3]);
    case SYS_openat: return traced_open(call[0], second, call[2], call[3]);
    case SYS_renameat: return traced_names(number, RENAME, call[0], second, call[2], (const char *)call[3], call);
    case SYS_renameat2:
        return traced_names(number, (call[4] & ~1L) ? UNKNOWN : RENAME, call[0], second, call[2],
                            (const char *)call[3], call);
    case SYS_unlinkat:
        return traced_names(number, (call[2] & AT_REMOVEDIR) ? RMDIR : UNLINK, call[0], second, 0, NULL, call);
    case SYS_linkat: return traced_names(number, LINK, call[0], second, call[2], (const char *)call[3], call);
    case SYS_mkdirat: return traced_names(number, MKDIR, call[0], second, 0, NULL, call);
    case SYS_symlinkat: return traced_names(number, UNKNOWN, call[1], (const char *)call[2], 0, NULL, call);
    case SYS_truncate: return traced_names(number, UNKNOWN, AT_FDCWD, first, 0, NULL, call);
#ifdef SYS_open
    case SYS_open: return traced_open(AT_FDCWD, first, call[1], call[2]);
    case SYS_creat: return traced_open(AT_FDCWD, first, O_CREAT | O_WRONLY | O_TRUNC, call[1]);
    case SYS_rename: return traced_names(number, RENAME, AT_FDCWD, first, AT_FDCWD, second, call);
    case SYS_unlink: return traced_names(number, UNLINK, AT_FDCWD, first, 0, NULL, call);
    case SYS_rmdir: return traced_names(number, RMDIR, AT_FDCWD, first, 0, NULL, call);
    case SYS_link: return traced_names(number, LINK, AT_FDCWD, first, AT_FDCWD, second, call);
    case SYS_mkdir: return traced_names(number, MKDIR, AT_FDCWD, first, 0, NULL, call);
    case SYS_symlink: return traced_names(number, UNKNOWN, AT_FDCWD, second, 0, NULL, call);
#endif
    case SYS_fsync:
    case SYS_fdatasync: return traced_sync(number, call[0]);
    case SYS_mmap: return traced_map(call);
    case SYS_statfs: return bent_statfs(first, (struct statfs *)call[1]);
    case SYS_sync:
    case SYS_syncfs: return raw(number, call[0]); /* nothing is promised to us by these, so nothing becomes durable */
    /* Ways to copy without the bytes passing us; callers have another one. */
    case SYS_copy_file_range: return -EXDEV;
    case SYS_splice: return unknown_call(number, call[2], call);
    case SYS_sendfile: {
        struct stat status;
        return ino_of(call[0], &status) ? -EINVAL : raw(number, call[0], call[1], call[2], call[3]);
    }
    case SYS_openat2:
    case SYS_io_uring_setup: return -ENOSYS;
    default: give_up("the tracer trapped a call that it does not know"); return -ENOSYS;
    }
}

static void on_trap(int signal, siginfo_t *info, void *argument)
{
    (void)signal;
    ucontext_t *context = argument;
    long call[6];
    for (int n = 0; n < 6; n++)
        call[n] = (long)ARGUMENT(context, n);
    RESULT(context) = traced(info->si_syscall, call);
}

/* ---- the filter ---- */

static const int trapped[] = {
    SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_ftruncate, SYS_truncate, SYS_fallocate,
    SYS_openat, SYS_openat2, SYS_renameat, SYS_renameat2, SYS_unlinkat, SYS_linkat, SYS_mkdirat, SYS_symlinkat,
    SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs, SYS_copy_file_range, SYS_sendfile, SYS_splice, SYS_io_uring_setup,
    SYS_statfs,
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_rename, SYS_unlink, SYS_rmdir, SYS_link, SYS_mkdir, SYS_symlink,
#endif
};

#define TRAPPED (sizeof trapped / sizeof *trapped)
#define LOW_OF(field) (offsetof(struct seccomp_data, field))

static void install(void)
{
    uint64_t past = (uint64_t)trace_past;
    struct sock_filter program[2 * TRAPPED + 32];
    unsigned n = 0;
#define EMIT(...) program[n++] = (struct sock_filter)__VA_ARGS__
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(arch)));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(instruction_pointer)));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)past, 0, 3));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(instruction_pointer) + 4));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(past >> 32), 0, 1));
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(nr)));
    for (unsigned at = 0; at < TRAPPED; at++) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)trapped[at], 0, 1));
        EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    }
    /* A shared mapping of a file that can be written. */
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(args[3])));
    EMIT(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAP_SHARED | MAP_ANONYMOUS));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAP_SHARED, 0, 2));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_OF(args[2])));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 1, 0));
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    struct sock_fprog filter = { (unsigned short)n, program };
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
        give_up("this system lets no process filter its own calls (seccomp)");
}

__attribute__((constructor)) static void begin(void)
{
    const char *control_file = getenv("KAPELLE_TRACE_CONTROL");
    const char *trace_file = getenv("KAPELLE_TRACE_FILE"), *folder = getenv("KAPELLE_TRACE_ROOT");
    if (control_file) {
        int fd = open(control_file, O_RDWR | O_CLOEXEC);
        void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || page == MAP_FAILED)
            give_up("the tracer's control file cannot be mapped");
        close(fd);
        control = page;
    }
    if (!trace_file || !folder)
        return;
    struct stat status;
    if (strlen(folder) >= sizeof root || stat(folder, &status) != 0)
        give_up("the folder to trace is not there");
    strcpy(root, folder);
    root_length = strlen(root);
    root_device = status.st_dev;
    trace = open(trace_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (trace < 0)
        give_up("the trace cannot be created");
    install();
}

/* ---- clocks ---- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = raw(SYS_clock_gettime, clock, now);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        int64_t ns = now->tv_nsec + control->clock_offset_ns;
        int64_t seconds = ns / 1000000000, rest = ns % 1000000000;
        if (rest < 0) {
            rest += 1000000000;
            seconds -= 1;
        }
        now->tv_sec += seconds;
        now->tv_nsec = rest;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to)
{
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return -1;
    if (to)
        *to = exact.tv_sec;
    return exact.tv_sec;
}
