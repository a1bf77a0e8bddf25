/*
 * What a file of /proc says.
 */
#ifndef BASE_CONTENTS_H
#define BASE_CONTENTS_H

const char *contents(const char *path); /* until the next is read; empty: it cannot be read */

#endif
