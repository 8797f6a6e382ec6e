/* SPDX-License-Identifier: MIT */
/*
 * blkif.h - the public block interface, <xen/io/blkif.h>: requests and responses of a disk, in a
 * ring of one page, and its sectors.
 */
#pragma once

#include "ring.h"

#include <xen/io/blkif.h>

#define SECTOR_SIZE 512U
#define PAGE_SECTORS (PAGE_SIZE / SECTOR_SIZE)
#define BLK_DISK_FIRST 51712U /* xvda; 16 more for each further one */
