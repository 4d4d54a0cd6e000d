/* Counts the instructions of an arm64 program in QEMU's user mode, exactly.
 *
 *     qemu-aarch64 -plugin instructions.so,out=FILE PROGRAM
 *
 * The program marks places by the system call prctl(MARK), which Linux refuses as an unknown option.
 * At each mark a line goes to FILE: how many instructions its thread has run so far. What other
 * threads do meanwhile is not the marked work.
 *
 * QEMU translates blocks of instructions that run one after the other from the first to the last, and
 * a system call ends its block, so that at a mark exactly the instructions up to it are counted.
 *
 * The interface is that of QEMU's documentation, "TCG Plugins" (docs/devel/tcg-plugins.rst): what of
 * it is used here, version 1 (QEMU 6 to 8) and later ones have alike. Distributions do not package
 * its header, so it is declared here.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#ifndef API
#define API 1
#endif

#define MARK 0x65646b64 /* "edkd"; the agent has the same number */
#define PRCTL 167       /* of arm64: Linux, include/uapi/asm-generic/unistd.h */

struct qemu_plugin_tb; /* a block of instructions, translated */
struct qemu_info_t;
enum registers { NO_REGISTERS };

typedef void on_translation(uint64_t id, struct qemu_plugin_tb *block);
typedef void on_run(unsigned int cpu, void *data);
typedef void on_call(uint64_t id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
                     uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, on_translation *callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, on_run *callback,
                                          enum registers uses, void *data);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, on_call *callback);

EXPORT int qemu_plugin_version = API;

static _Thread_local uint64_t counted; /* in user mode, a thread of the program is one of QEMU */
static int out = -1;

static void run(unsigned int cpu, void *instructions)
{
    (void)cpu;
    counted += (uintptr_t)instructions;
}

static void translation(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, run, NO_REGISTERS,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void call(uint64_t id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
                 uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == PRCTL && (uint32_t)a1 == MARK)
        dprintf(out, "%" PRIu64 "\n", counted);
}

EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            out = open(argv[i] + 4, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) {
        fprintf(stderr, "instructions.so: out=FILE is missing, or cannot be written\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translation);
    qemu_plugin_register_vcpu_syscall_cb(id, call);
    return 0;
}
