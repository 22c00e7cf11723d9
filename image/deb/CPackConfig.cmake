# SPDX-License-Identifier: MIT
#
# What CPack makes of a tree that is complete but for stripping. deb.py sets the rest before it includes this: STAGE,
# CONTROL (our own control files), version, release, architecture, maintainer, LIBRARIES (packages), tools, directory.

set(CPACK_GENERATOR DEB)
set(CPACK_INSTALLED_DIRECTORIES "${STAGE};/")
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_SET_DESTDIR OFF)
set(CPACK_STRIP_FILES OFF)  # the debug symbols are split off instead

set(CPACK_PACKAGE_NAME meterstick)
set(CPACK_PACKAGE_FILE_NAME meterstick)
set(CPACK_PACKAGE_VENDOR "the Meterstick authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "electricity meters to a journal, CSV files on USB sticks, and lights")
file(READ "${CMAKE_CURRENT_LIST_DIR}/description" CPACK_PACKAGE_DESCRIPTION)
string(STRIP "${CPACK_PACKAGE_DESCRIPTION}" CPACK_PACKAGE_DESCRIPTION)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${CONTROL}/conffiles;${CONTROL}/postinst;${CONTROL}/prerm;${CONTROL}/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# Beside the libraries: users and directories are made by systemd's tools, sticks looked at by fsck.fat and fsck.exfat.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "${LIBRARIES}, dosfstools, exfatprogs, systemd, tzdata, udev")
