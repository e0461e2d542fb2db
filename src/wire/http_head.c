/* SPDX-License-Identifier: MIT */
typedef int peal_http_head_placeholder;
