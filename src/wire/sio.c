/* SPDX-License-Identifier: MIT */
typedef int peal_sio_placeholder;
