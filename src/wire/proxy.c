/* SPDX-License-Identifier: MIT */
typedef int peal_proxy_placeholder;
