export default (orders) => orders;
