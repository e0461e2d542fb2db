/* SPDX-License-Identifier: MIT */
typedef int peal_eio_placeholder;
