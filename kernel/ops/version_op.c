/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_xen_version: who we are. The ABI is that of Xen 4.17; the extra version says that it's
 * tarn. */
#include <tarn/boot_info.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <xen/features.h>
#include <xen/version.h>

#include <gen/version.h>

static long put(u64 arg, const void *src, size_t len)
{
    return copy_to_guest(arg, src, len) ? -EFAULT : 0;
}

static long put_text(u64 arg, const char *text, size_t size)
{
    char buf[1024] = "";

    str_copy(buf, text, MIN(size, sizeof(buf)));
    return put(arg, buf, size);
}

static long compile_info(u64 arg)
{
    struct xen_compile_info info = { .compiler = __VERSION__,
                                     .compile_by = "tarn",
                                     .compile_domain = "tarn",
                                     .compile_date = TARN_VERSION };

    return put(arg, &info, sizeof(info));
}

static long get_features(u64 arg)
{
    struct xen_feature_info fi;

    if (copy_from_guest(&fi, arg, sizeof(fi))) {
        return -EFAULT;
    }
    if (fi.submap_idx != 0) {
        return -EINVAL;
    }
    fi.submap = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
                1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_memory_op_vnode_supported |
                1u << XENFEAT_direct_mapped;
    fi.submap |= current->domain->privileged ? 1u << XENFEAT_dom0 : 0;
    return put(arg, &fi, sizeof(fi));
}

static long guest_handle(u64 arg)
{
    xen_domain_handle_t handle = { 0 };

    return put(arg, handle, sizeof(handle));
}

static long platform_parameters(u64 arg)
{
    struct xen_platform_parameters p = { .virt_start = HYPERVISOR_VIRT_START };

    return put(arg, &p, sizeof(p));
}

const char *boot_cmdline; /* set at boot */

static __attribute__((noinline)) long information(u64 cmd, u64 arg)
{
    switch (cmd) {
    case XENVER_extraversion:
        return put_text(arg, "-tarn", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return compile_info(arg);
    case XENVER_capabilities:
        return put_text(arg, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return put_text(arg, TARN_VERSION, sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return platform_parameters(arg);
    case XENVER_get_features:
        return get_features(arg);
    case XENVER_pagesize:
        return arg ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return guest_handle(arg);
    case XENVER_commandline:
        return put_text(arg, current->domain->privileged ? boot_cmdline : "<denied>",
                        sizeof(xen_commandline_t));
    default:
        return -ENOSYS;
    }
}

/* The version is what guests ask for when all they want is a look at their events. */
long do_xen_version(u64 cmd, u64 arg)
{
    return likely(cmd == XENVER_version) ? XEN_ABI_MAJOR << 16 | XEN_ABI_MINOR
                                         : information(cmd, arg);
}

long do_vm_assist(u64 cmd, u64 type)
{
    struct domain *d = current->domain;

    if (type >= 64 || !(VM_ASSIST_VALID >> type & 1)) {
        return -EINVAL;
    }
    if (cmd == VMASST_CMD_enable) {
        set_bit(type, &d->vm_assist);
    } else if (cmd == VMASST_CMD_disable) {
        clear_bit(type, &d->vm_assist);
    } else {
        return -ENOSYS;
    }
    return 0;
}
