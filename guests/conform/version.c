/* SPDX-License-Identifier: MIT */
/* version.c - xen_version: the queries and their bad pointers. */
#include "conform.h"

/* What every capability string of a hypervisor with 64-bit PV guests starts with. */
static long has_pv64(const char *text)
{
    return memcmp(text, "xen-3.0-x86_64", 14) == 0;
}

static void check_strings(void)
{
    static xen_extraversion_t extra;
    static xen_compile_info_t compile;
    static xen_capabilities_info_t capabilities;
    static xen_changeset_info_t changeset;
    static xen_commandline_t commandline;

    result("version.extraversion", xen_version(XENVER_extraversion, extra));
    result("version.extraversion.ends", extra[sizeof(extra) - 1] == 0);
    result("version.compile_info", xen_version(XENVER_compile_info, &compile));
    result("version.capabilities", xen_version(XENVER_capabilities, capabilities));
    result("version.capabilities.pv64", has_pv64(capabilities));
    result("version.changeset", xen_version(XENVER_changeset, changeset));
    result("version.commandline", xen_version(XENVER_commandline, commandline));
}

void check_version(void)
{
    struct xen_platform_parameters parameters = { 0 };
    struct xen_feature_info features = { .submap_idx = 0 };
    xen_domain_handle_t handle;
    long version = xen_version(XENVER_version, NULL);

    result("version.major", version >> 16);
    result("version.minor", version & 0xffff);
    check_strings();
    result("version.platform_parameters", xen_version(XENVER_platform_parameters, &parameters));
    result_hex("version.platform_parameters.virt_start", parameters.virt_start);
    result("version.get_features.0", xen_version(XENVER_get_features, &features));
    result_hex("version.get_features.0.submap", features.submap);
    features.submap_idx = 1;
    result("version.get_features.1", xen_version(XENVER_get_features, &features));
    result("version.pagesize", xen_version(XENVER_pagesize, NULL));
    result("version.guest_handle", xen_version(XENVER_guest_handle, handle));
    result("version.unknown.11", xen_version(11, NULL));
    result("version.unknown.max", xen_version(0x7fffffff, NULL));
    result("version.unknown.negative", xen_version(-1, NULL));
    result("version.extraversion.null", xen_version(XENVER_extraversion, NULL));
    result("version.extraversion.bad", xen_version(XENVER_extraversion, BAD_POINTER));
    result("version.extraversion.xen", xen_version(XENVER_extraversion, XEN_POINTER));
    result("version.extraversion.wrong", xen_version(XENVER_extraversion, WRONG_POINTER));
    result("version.get_features.bad", xen_version(XENVER_get_features, BAD_POINTER));
    result("version.capabilities.bad", xen_version(XENVER_capabilities, BAD_POINTER));
    result("version.changeset.xen", xen_version(XENVER_changeset, XEN_POINTER));
    result("version.guest_handle.bad", xen_version(XENVER_guest_handle, BAD_POINTER));
}
