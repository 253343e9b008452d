# Installs what find_package(penstock) reads. The rooms install their own targets and headers
# (cmake/module.cmake), `hardware` the catalogue, and `cli` the program.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/penstock)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/penstockConfig.cmake.in
  ${PROJECT_BINARY_DIR}/generated/penstockConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor version may change an interface.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/generated/penstockConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/penstockConfig.cmake
              ${PROJECT_BINARY_DIR}/generated/penstockConfigVersion.cmake
        DESTINATION ${package_dir})
install(EXPORT penstock-targets NAMESPACE penstock:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/generated/penstock/version.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/penstock)
