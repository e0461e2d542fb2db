/* SPDX-License-Identifier: MIT */
typedef int peal_json_placeholder;
