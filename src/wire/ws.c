/* SPDX-License-Identifier: MIT */
typedef int peal_ws_placeholder;
