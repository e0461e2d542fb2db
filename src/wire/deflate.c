/* SPDX-License-Identifier: MIT */
typedef int peal_deflate_placeholder;
